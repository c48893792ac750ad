"""Machines that are not here: their names, and what a compiled text says of them."""

import dataclasses
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmer import nn, trees
from jmer.errors import JmerError, UsageError
from jmer.models.hsta import HstaConfig
from jmer.models.ststnet import STSTNetConfig
from jmer.optim import AdamWConfig
from jmer.targets import machines
from jmer.targets.cost import collectives, costs, operations
from jmer.targets.groups import grouped_multiplications
from jmer.targets.program_text import parse
from jmer.targets.scopes import EPOCHS, STEPS, at_most
from jmer.targets.traffic import bytes_moved, reads_whole
from jmer.train.folds import device_bytes
from jmer.train.mesh import make_mesh
from jmer.train.step import Data
from tests.engine import make_program, table_of, tasks_of
from tests.toy import make_clips


@pytest.mark.parametrize(
    ("name", "devices", "topology"),
    [
        ("v5e-1", 1, "v5e:1x1"),
        ("v5e-256", 256, "v5e:16x16"),
        ("v5p-8", 4, "v5p:2x2x1"),
        ("V6E-8", 8, "v6e:2x4"),
        ("h100", 1, "1x1x1"),
        ("a100-8", 8, "1x1x8"),
        ("h200x2", 2, "1x1x2"),
        ("h100-1", 1, "1x1x1"),
        ("v5litepod-16", 16, "v5e:4x4"),
        (" v6e-1 ", 1, "v6e:1x1"),
    ],
)
def test_a_machine_is_found_by_its_name(name, devices, topology):
    found = machines.target(name)
    assert (found.devices, found.topology) == (devices, topology)
    assert found.kind in machines.CHIPS
    assert machines.target(found.name) == found


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("v5e-3", "v5e-4"),
        ("v5p-4", "v5p-8"),
        ("h100-9", "1 to 8"),
        ("h10", "did you mean 'h100'"),
        ("tpu", "There are v5e-1 to v5e-256"),
        ("", "There are"),
        ("v5e-0", "v5e comes as"),
        ("h100-0", "1 to 8"),
        ("v5e4", "did you mean 'v5e-4'"),
        ("h200_8", "did you mean 'h200-8'"),
        ("v5e-4\nv5e-8", "no such machine"),
    ],
)
def test_a_name_that_is_none_is_refused_with_those_there_are(name, says):
    with pytest.raises(UsageError, match="--target") as caught:
        machines.target(name)
    assert says in str(caught.value) and "\n" not in str(caught.value)


def test_peaks_are_those_of_the_matrix_units():
    """Two operations for each of the 128 x 128 cells of four and eight units, and of
    the 256 x 256 of four."""
    for name, cells in (("v5e", 4 * 128**2), ("v5p", 8 * 128**2), ("v6e", 4 * 256**2)):
        assert machines.CHIPS[name].flops_a_cycle == pytest.approx(2 * cells, rel=0.01)


PROGRAM = """HloModule jit_f, is_scheduled=true

%picked (p.0: f32[1000,64], p.1: s32[]) -> bf16[1,64] {
  %p.0 = f32[1000,64]{1,0:T(8,128)} parameter(0)
  %p.1 = s32[] parameter(1)
  %zero = s32[] constant(0)
  %low = bf16[1000,64]{1,0} convert(%p.0)
  ROOT %row = bf16[1,64]{1,0} dynamic-slice(%low, %p.1, %zero), dynamic_slice_sizes={1,64}
}

%summed (p.2: f32[1000,64]) -> f32[64] {
  %p.2 = f32[1000,64]{1,0} parameter(0)
  %none = f32[] constant(0)
  ROOT %sum = f32[64]{0} reduce(%p.2, %none), dimensions={0}, to_apply=%add
}

%inner_body (t.0: (s32[], f32[64])) -> (s32[], f32[64]) {
  %t.0 = (s32[]{:T(128)}, f32[64]{0:T(128)S(1)}) parameter(0)
  %i.0 = s32[] get-tuple-element(%t.0), index=0
  %v.0 = f32[64]{0:T(128)S(1)} get-tuple-element(%t.0), index=1
  %twice = f32[64]{0:T(128)S(1)} multiply(%v.0, %v.0), backend_config={"estimated_cycles":"7"}
  ROOT %o.0 = (s32[], f32[64]) tuple(%i.0, %twice)
}

%inner_condition (t.1: (s32[], f32[64])) -> pred[] {
  %t.1 = (s32[], f32[64]) parameter(0)
  %i.1 = s32[] get-tuple-element(%t.1), index=0
  %b.1 = s32[] get-tuple-element(%t.1), index=1
  ROOT %lt.1 = pred[] compare(%i.1, %b.1), direction=LT
}

%step_body (t.2: (s32[], f32[1000,64], f32[64], /*index=3*/s32[])) -> (s32[], f32[1000,64]) {
  %t.2 = (s32[], f32[1000,64]{1,0}, f32[64]{0:T(128)S(1)}, /*index=3*/s32[]) parameter(0)
  %i.2 = s32[] get-tuple-element(%t.2), index=0
  %all.2 = f32[1000,64]{1,0} get-tuple-element(%t.2), index=1
  %v.2 = f32[64]{0:T(128)S(1)} get-tuple-element(%t.2), index=2
  %batch = bf16[1,64]{1,0} fusion(%all.2, %i.2), kind=kLoop, calls=%picked, backend_config={"estimated_cycles":"100"}
  %start = (s32[], f32[64]) tuple(%i.2, %v.2)
  %tiles = (s32[], f32[64]) while(%start), condition=%inner_condition, body=%inner_body, metadata={op_name="jit(f)/epochs/while/body/vmap(steps)/while/body/jvp(turns_5)/while"}
  ROOT %o.2 = (s32[], f32[1000,64]) tuple(%i.2, %all.2)
}

%step_condition (t.3: (s32[], f32[1000,64])) -> pred[] {
  %t.3 = (s32[], f32[1000,64]) parameter(0)
  %i.3 = s32[] get-tuple-element(%t.3), index=0
  %b.3 = s32[] constant(3)
  ROOT %lt.3 = pred[] compare(%i.3, %b.3), direction=LT
}

%epoch_body (t.4: (s32[], f32[1000,64])) -> (s32[], f32[1000,64]) {
  %t.4 = (s32[], f32[1000,64]) parameter(0)
  %loop.4 = (s32[], f32[1000,64]) while(%t.4), condition=%step_condition, body=%step_body, metadata={op_name="jit(f)/epochs/while/body/vmap(steps)/while"}
  %order = u32[8]{0} sort(%t.4), dimensions={0}, backend_config={"estimated_cycles":"11"}
  ROOT %o.4 = (s32[], f32[1000,64]) tuple(%loop.4)
}

%epoch_condition (t.5: (s32[], f32[1000,64], s32[])) -> pred[] {
  %t.5 = (s32[], f32[1000,64], s32[]) parameter(0)
  %i.5 = s32[] get-tuple-element(%t.5), index=0
  %b.5 = s32[] get-tuple-element(%t.5), index=2
  ROOT %lt.5 = pred[] compare(%i.5, %b.5), direction=LT
}

ENTRY %main (a: f32[1000,64], n: s32[]) -> f32[64] {
  %a = f32[1000,64]{1,0} parameter(0)
  %n = s32[] parameter(1)
  %begin = s32[] constant(0)
  %t.6 = (s32[], f32[1000,64], s32[]) tuple(%begin, %a, %n)
  %loop.6 = (s32[], f32[1000,64]) while(%t.6), condition=%epoch_condition, body=%epoch_body, metadata={op_name="jit(f)/epochs/while"}
  %after = f32[1000,64]{1,0} get-tuple-element(%loop.6), index=1
  %test = f32[64]{0} fusion(%after), kind=kInput, calls=%summed, metadata={op_name="jit(f)/evaluation/vmap()/reduce_sum"}, backend_config={"estimated_cycles":"1000"}
  ROOT %copy = f32[64]{0} copy(%test), backend_config={"estimated_cycles":"13"}
}
"""  # noqa: E501


def test_a_text_is_taken_apart():
    module = parse(PROGRAM)
    assert module.entry.name == "main" and len(module.computations) == 9
    state = module.computations["step_body"].instructions["t.2"]
    assert [(a.dtype, a.shape, a.near) for a in state.results] == [
        ("s32", (), False), ("f32", (1000, 64), False),
        ("f32", (64,), True), ("s32", (), False),
    ]  # fmt: skip
    batch = module.computations["step_body"].instructions["batch"]
    assert (batch.opcode, batch.operands) == ("fusion", ("all.2", "i.2"))
    assert (batch.called, batch.cycles, batch.bytes) == (("picked",), 100, 128)


def test_cycles_are_those_of_a_turn_times_the_turns():
    """Two epochs of three steps; a step's loop turns five times, as its scope says."""
    found = costs(parse(PROGRAM), epochs=2)
    assert found.step.cycles == 2 * 3 * (100 + 5 * 7)
    assert found.epoch.cycles == 2 * 11
    assert found.evaluation.cycles == 1000
    assert found.once.cycles == 13
    assert found.cycles == 810 + 22 + 1013
    assert found.step.kernels == 2 * 3 * (1 + 5)
    assert found.unknown == ()
    # Most of a step is its batch: 600 cycles, and the loop has 210.
    assert [n for _, n in found.step.cycles_of.most_common()] == [600, 210]


def test_a_loop_of_unknown_length_is_said_to_be_one():
    found = costs(parse(PROGRAM.replace(at_most(5), "other")), epochs=2)
    assert found.step.cycles == 2 * 3 * (100 + 7)
    assert len(found.unknown) == 1 and "steps" in found.unknown[0]


def test_a_loop_of_one_turn_that_was_dissolved_is_still_a_step():
    inlined = """ENTRY %main (a: f32[8]) -> f32[8] {
  %a = f32[8] parameter(0)
  ROOT %b = f32[8] negate(%a), metadata={op_name="jit(f)/epochs/while/body/vmap(steps)/while/body/neg"}, backend_config={"estimated_cycles":"5"}
}
"""  # noqa: E501
    found = costs(parse(inlined), epochs=1)
    assert (found.step.cycles, found.once.cycles) == (5, 0)


def test_bytes_are_what_is_read_and_written():
    module = parse(PROGRAM)
    step, main = module.computations["step_body"], module.entry
    # One row of the 1,000, which is converted after: 64 values of two bytes in and
    # out, and the number of the row.
    batch = step.instructions["batch"]
    assert bytes_moved(module, step, batch) == 64 * 2 + 64 * 2 + 4
    assert not reads_whole(module, step, batch, 1000 * 64 * 4)
    summed = main.instructions["test"]
    assert bytes_moved(module, main, summed) == 1000 * 64 * 4 + 64 * 4
    assert reads_whole(module, main, summed, 1000 * 64 * 4)
    # What lies beside the cores costs the memory nothing.
    inner = module.computations["inner_body"]
    assert bytes_moved(module, inner, inner.instructions["twice"]) == 0


CONVOLUTIONS = """
HloModule one

ENTRY %main (p0: bf16[4,16,16,40], p1: bf16[60,3,3,8], p2: bf16[4,16,16,60]) -> f32[] {
  %x = bf16[4,16,16,40]{3,2,1,0} parameter(0)
  %k = bf16[60,3,3,8]{3,2,1,0} parameter(1)
  %dy = bf16[4,16,16,60]{3,2,1,0} parameter(2)
  %y = (bf16[4,16,16,60]{3,2,1,0}, u8[0]{0}) custom-call(%x, %k), window={size=3x3 pad=1_1x1_1}, dim_labels=b01f_o01i->b01f, feature_group_count=5, custom_call_target="__cudnn$convBiasActivationForward"
  %dx = (bf16[4,16,16,40]{3,2,1,0}, u8[0]{0}) custom-call(%dy, %k), window={size=3x3 pad=1_1x1_1}, dim_labels=b01f_o01i->b01f, feature_group_count=5, custom_call_target="__cudnn$convBackwardInput"
  %dk = (bf16[60,3,3,8]{3,2,1,0}, u8[0]{0}) custom-call(%x, %dy), window={size=3x3 pad=1_1x1_1}, dim_labels=b01f_o01i->b01f, feature_group_count=5, custom_call_target="__cudnn$convBackwardFilter"
  %one = (bf16[4,16,16,60]{3,2,1,0}, u8[0]{0}) custom-call(%x, %k), window={size=3x3 pad=1_1x1_1}, dim_labels=b01f_o01i->b01f, custom_call_target="__cudnn$convForward"
  ROOT %other = f32[] custom-call(%y), feature_group_count=5, custom_call_target="__cublas$gemm"
}
"""  # noqa: E501


def test_multiplications_of_groups_are_those_of_each_group():
    """4 clips of 16x16, five groups of 8 channels to 12, windows of 3x3."""
    module = parse(CONVOLUTIONS)
    found = {
        each.name: grouped_multiplications(module.entry, each) for each in module.entry
    }
    one = 5 * 4 * 16 * 16 * 9 * 8 * 12
    assert [name for name, many in found.items() if many] == ["y", "dx", "dk"]
    assert {found["y"], found["dx"], found["dk"]} == {one}
    assert costs(module, epochs=1).once.grouped == 3 * one


def test_collectives_are_named():
    assert collectives(parse(PROGRAM)) == []
    talking = PROGRAM.replace("= u32[8]{0} sort(", "= u32[8]{0} all-gather-start(")
    assert collectives(parse(talking)) == ["all-gather"]


def whole_reads(text: str, size: int) -> list[str]:
    """The operations of a step that read a whole array of so many bytes."""
    module = parse(text)
    return [
        f"{each.instruction.opcode} {each.instruction.name}"
        for each in operations(module)
        if each.within(STEPS)
        and reads_whole(module, each.computation, each.instruction, size)
    ]


def compiled_text(
    machine: machines.Target | None, mode: str, lowering: str
) -> tuple[str, int]:
    """The program of a set that is larger than all else, and the set's bytes."""
    clips = make_clips(4, 40)
    flow = np.zeros((len(clips), 30, 30, 3), np.float16)
    clips = dataclasses.replace(clips, inputs={"apex_flow": flow})
    network = STSTNetConfig(size=30, filters=(2,))
    program = make_program(
        clips, mode=mode, network=network, lowering=lowering, batch_size=2, chunk=1
    )
    if machine is not None:
        mesh = make_mesh(1, machines.devices(machine))
        options = machines.compiler_options(machine)
        program = dataclasses.replace(program, mesh=mesh, options=options)
    tasks = tasks_of(clips)[:1]
    table = trees.shapes(table_of(program, clips, tasks), 1)
    data = Data.of(clips.inputs, clips.label)
    return program.compiled(table, data).as_text(), math.prod(flow.shape) * 2


MACHINES = ["here", "v5e-1", "h100"]


def machine_or_skip(name: str) -> machines.Target | None:
    if name == "here":
        return None
    machine = machines.target(name)
    try:
        machines.devices(machine)
    except JmerError as error:
        pytest.skip(str(error))
    return machine


@pytest.mark.parametrize(
    ("name", "lowering"),
    [
        *itertools.product(MACHINES, ["patches", "backend"]),
        *[("v5e-1", "tpu"), ("h100", "gpu")],
    ],
)
@pytest.mark.parametrize("mode", ["own", "shared"])
def test_no_operation_of_a_step_reads_the_whole_set(name, mode, lowering, monkeypatch):
    monkeypatch.setenv("TPU_SKIP_MDS_QUERY", "1")
    monkeypatch.setenv("ALLOW_MULTIPLE_LIBTPU_LOAD", "1")
    text, size = compiled_text(machine_or_skip(name), mode, lowering)
    assert whole_reads(text, size) == []
    found = costs(parse(text), epochs=2)
    assert found.step.kernels > 0 and found.unknown == ()


@pytest.mark.parametrize("fault", [jnp.sin, lambda x: x.T.reshape(x.shape), jnp.abs])
def test_the_check_sees_a_step_that_reads_the_whole_set(fault):
    """One that changes the set by what it has learnt, so that no compiler can do it
    once for all."""

    def train(data, batches):
        def step(total, index):
            changed = fault(data * (1 + total))
            return total + changed[index].sum() + changed.mean(), None

        with jax.named_scope(EPOCHS), jax.named_scope(STEPS):
            return jax.lax.scan(step, 0.0, batches)[0]

    data = jax.ShapeDtypeStruct((500, 64), jnp.float32)
    batches = jax.ShapeDtypeStruct((7, 2), jnp.int32)
    text = jax.jit(train).lower(data, batches).compile().as_text()
    assert whole_reads(text, 500 * 64 * 4)


TRANSFORMER = HstaConfig(
    depth=(1, 0, 1), streams="v", csta=False, num_frames=2, special_frames=2, size=16,
    patch_v=8, patch_s=8, dim_v=256, dim_s=4, heads=2,
)  # fmt: skip


@pytest.mark.parametrize("name", ["v5e-1", "h100"])
def test_tasks_share_the_memory_of_one_chunk(name, monkeypatch):
    """A program of eight tasks, one at a time, has their states and what one of them
    works with, as a program of two, to a tenth: no copy of the states."""
    monkeypatch.setenv("TPU_SKIP_MDS_QUERY", "1")
    monkeypatch.setenv("ALLOW_MULTIPLE_LIBTPU_LOAD", "1")
    machine = machine_or_skip(name)
    assert machine is not None
    clips = make_clips(8, 2)
    shapes = zip(TRANSFORMER.inputs, TRANSFORMER.input_shapes, strict=True)
    inputs = {n: np.zeros((len(clips), *shape), np.uint8) for n, shape in shapes}
    clips = dataclasses.replace(clips, inputs=inputs)
    program = dataclasses.replace(
        make_program(
            clips, network=TRANSFORMER, optim=AdamWConfig(), batch_size=2, chunk=1,
            dtype=jnp.bfloat16, lowering=machine.chip.platform,
        ),
        mesh=make_mesh(1, machines.devices(machine)),
        options=machines.compiler_options(machine),
    )  # fmt: skip
    data = Data.of(clips.inputs, clips.label)

    def memory(tasks):
        table = table_of(program, clips, tasks_of(clips)[:tasks])
        return device_bytes(program.compiled(trees.shapes(table, tasks), data))

    state = trees.size(jax.eval_shape(program.trainer.init, jax.random.key(0)))
    two, eight = memory(2), memory(8)
    assert 8 * state < eight < 1.1 * (two + 6 * state)
    # The work has the state of one task in it, which it changes.
    assert two < 3.5 * state


@pytest.mark.parametrize("name", ["v5e-1", "h100"])
def test_attention_of_an_accelerator_holds_no_scores(name, monkeypatch):
    """cuDNN's on a GPU, once there and once back, for an odd number of tokens too;
    blocks on a TPU."""
    monkeypatch.setenv("TPU_SKIP_MDS_QUERY", "1")
    monkeypatch.setenv("ALLOW_MULTIPLE_LIBTPU_LOAD", "1")
    machine = machine_or_skip(name)
    assert machine is not None
    place = jax.sharding.SingleDeviceSharding(machines.devices(machine)[0])
    tokens = jax.ShapeDtypeStruct((48, 293, 4, 64), jnp.bfloat16, sharding=place)

    def gradients(query, key, value):
        made, pull = jax.vjp(nn.attention, query, key, value)
        return pull(made)

    with nn.use_lowering("backend"):
        lowered = jax.jit(gradients).lower(*[tokens] * 3)
    options = machines.compiler_options(machine)
    compiled = lowered.compile(compiler_options=options)
    text = compiled.as_text()
    for target in ("__cudnn$fmhaSoftmax", "__cudnn$fmhaSoftmaxBackward"):
        assert text.count(f'custom_call_target="{target}"') == (name == "h100")
    assert "[48,4,293,293]" not in text
    scores = 48 * 4 * 293 * 293 * 4
    assert compiled.memory_analysis().temp_size_in_bytes < scores


def test_the_ways_through_a_fusion_are_not_walked_one_by_one():
    """Each of sixty values is read twice on the way to the next: 2**60 ways."""
    links = "\n".join(
        f"  %w.{i} = f32[1000,64]{{1,0}} negate(%v.{i})\n"
        f"  %v.{i + 1} = f32[1000,64]{{1,0}} add(%v.{i}, %w.{i})"
        for i in range(60)
    )
    text = f"""%chain (v.0: f32[1000,64], i: s32[]) -> f32[1,64] {{
  %v.0 = f32[1000,64]{{1,0}} parameter(0)
  %i = s32[] parameter(1)
{links}
  ROOT %r = f32[1,64]{{1,0}} dynamic-slice(%v.60, %i, %i), dynamic_slice_sizes={{1,64}}
}}

ENTRY %main (a: f32[1000,64], i: s32[]) -> f32[1,64] {{
  %a = f32[1000,64]{{1,0}} parameter(0)
  %i = s32[] parameter(1)
  ROOT %f = f32[1,64]{{1,0}} fusion(%a, %i), kind=kLoop, calls=%chain
}}
"""
    module = parse(text)
    fusion = module.entry.instructions["f"]
    # What is read by several ways counts by each, and at most as a whole.
    assert bytes_moved(module, module.entry, fusion) == 1000 * 64 * 4 + 64 * 4 + 4


def test_a_fusion_beside_others_writes_what_it_changes():
    text = """%changed (p.0: f32[1000,64], p.1: f32[1,64], p.2: s32[]) -> f32[1000,64] {
  %p.0 = f32[1000,64]{1,0} parameter(0)
  %p.1 = f32[1,64]{1,0} parameter(1)
  %p.2 = s32[] parameter(2)
  ROOT %new = f32[1000,64]{1,0} dynamic-update-slice(%p.0, %p.1, %p.2, %p.2)
}

ENTRY %main (a: f32[1000,64], b: f32[1,64], i: s32[]) -> f32[1000,64] {
  %a = f32[1000,64]{1,0} parameter(0)
  %b = f32[1,64]{1,0} parameter(1)
  %i = s32[] parameter(2)
  %s = ((f32[1000,64], f32[1,64], s32[]), f32[1000,64]) fusion-start(%a, %b, %i), kind=kLoop, calls=%changed
  ROOT %d = f32[1000,64]{1,0} fusion-done(%s)
}
"""  # noqa: E501
    module = parse(text)
    started = module.entry.instructions["s"]
    # A row in, a row out, and its number; the array itself stays where it is.
    assert bytes_moved(module, module.entry, started) == 64 * 4 * 2 + 4
