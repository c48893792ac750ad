"""Which processes belong together, by what launchers leave in the environment."""

import pytest

from jmer.errors import JmerError
from jmer.train import launcher
from jmer.train.hosts import launched
from jmer.train.launcher import find_launch, first_node

JOB = {"SLURM_JOB_ID": "77", "SLURM_NTASKS": "4", "SLURM_JOB_NODELIST": "node[1-4]"}
STEP = JOB | {
    "SLURM_STEP_ID": "0",
    "SLURM_STEP_NUM_TASKS": "4",
    "SLURM_STEP_NUM_NODES": "2",
    "SLURM_STEP_NODELIST": "node[3-4]",
    "SLURM_PROCID": "2",
    "SLURM_LOCALID": "0",
}
OMPI = {
    "OMPI_COMM_WORLD_SIZE": "3",
    "OMPI_COMM_WORLD_RANK": "1",
    "OMPI_COMM_WORLD_LOCAL_RANK": "1",
    "OMPI_COMM_WORLD_LOCAL_SIZE": "3",
}
HYDRA = {"PMI_SIZE": "2", "PMI_RANK": "1", "MPI_LOCALNRANKS": "2"}
TPU = {"TPU_WORKER_HOSTNAMES": "a,b", "TPU_WORKER_ID": "1"}
JAX = {"JAX_COORDINATOR_ADDRESS": "a:1", "JAX_NUM_PROCESSES": "2"}

ALONE = {
    "nothing": {},
    "a batch script or a shell of salloc": JOB,
    "that with a rank of its own": JOB | {"SLURM_PROCID": "0", "SLURM_LOCALID": "0"},
    "an interactive step": STEP | {"SLURM_STEP_NUM_TASKS": "1", "SLURM_PROCID": "0"},
    "a task of an array": JOB | {"SLURM_ARRAY_TASK_ID": "3", "SLURM_NTASKS": "1"},
    "a shell of salloc in a notebook": JOB | {"SLURM_STEP_NUM_TASKS": "1"},
    "a rank that is no number, of one": JOB | {"SLURM_PROCID": "x"},
    "a job that is over": {"SLURM_NTASKS": "4", "SLURM_STEP_NUM_TASKS": "4"},
    "a job of no nodes": {"SLURM_JOB_ID": "77"},
    "an address beside a batch script": JOB | {"JAX_COORDINATOR_ADDRESS": "a:1"},
    "mpirun of one": OMPI | {"OMPI_COMM_WORLD_SIZE": "1"},
    "PMI without mpiexec": {"PMI_SIZE": "4", "PMI_RANK": "1"},
    "torchrun": {"WORLD_SIZE": "4", "RANK": "1", "MASTER_ADDR": "a", "LOCAL_RANK": "1"},
    "a TPU of one host": TPU | {"TPU_WORKER_HOSTNAMES": "a"},
    "JAX alone": JAX | {"JAX_NUM_PROCESSES": "1"},
}


@pytest.mark.parametrize("case", ALONE)
def test_one_process_is_alone(case):
    assert find_launch(ALONE[case]) is None


def test_a_process_of_a_step_knows_the_others():
    launch = find_launch(STEP)
    assert (launch.index, launch.count, launch.host) == (2, 4, "node3")
    assert launch.gpu == 0 and launch.port in launcher.PORTS and launch.job == "77.0"
    # All of them meet at one place, and those of another step elsewhere.
    others = [find_launch(STEP | {"SLURM_PROCID": str(i)}) for i in range(4)]
    assert {other.address for other in others} == {launch.address}
    assert find_launch(STEP | {"SLURM_STEP_ID": "1"}).port != launch.port
    # On one machine, its name need not be known.
    local = STEP | {"SLURM_STEP_NUM_NODES": "1", "SLURM_STEP_NODELIST": "secret"}
    assert find_launch(local).host == "127.0.0.1"
    # One on each node has all GPUs of it.
    assert find_launch(STEP | {"SLURM_STEP_NUM_NODES": "4"}).gpu is None


def test_other_launchers_are_known(monkeypatch):
    monkeypatch.setattr(launcher, "_uses_tpu", lambda environment: True)
    found = find_launch(OMPI)
    assert (found.index, found.count, found.host, found.gpu) == (1, 3, "127.0.0.1", 1)
    uri = "1531576320.0;tcp://10.96.0.1,10.148.0.1:34911"
    apart = OMPI | {"OMPI_COMM_WORLD_LOCAL_SIZE": "1", "OMPI_MCA_orte_hnp_uri": uri}
    assert find_launch(apart).host == "10.96.0.1" and find_launch(apart).gpu is None
    assert find_launch(HYDRA).index == 1 and find_launch(HYDRA).count == 2
    # mpirun within an allocation is the inner one.
    assert find_launch(STEP | OMPI).count == 3
    assert find_launch(JAX | {"JAX_PROCESS_ID": "1"}).address == "a:1"
    assert find_launch(TPU).address == "a:8482"
    assert find_launch(TPU | {"JAX_COORDINATOR_PORT": "99"}).address == "a:99"
    slices = {
        "MEGASCALE_NUM_SLICES": "2",
        "MEGASCALE_SLICE_ID": "1",
        "MEGASCALE_COORDINATOR_ADDRESS": "c:8080",
    }
    found = find_launch(TPU | slices)
    assert (found.index, found.count, found.address) == (3, 4, "c:8482")


def test_variables_of_a_tpu_are_left_alone_where_there_is_none():
    assert find_launch(TPU | {"JAX_PLATFORMS": "cpu"}) is None


@pytest.mark.parametrize(
    ("environment", "pattern"),
    [
        (
            STEP | {"SLURM_PROCID": "x"},
            "SLURM_PROCID is 'x', and must be a number",
        ),
        (STEP | {"SLURM_PROCID": "4"}, "SLURM_PROCID is '4', and must be .* 0 to 3"),
        (STEP | {"SLURM_PROCID": "-1"}, "SLURM_PROCID is '-1'"),
        (STEP | {"SLURM_STEP_NUM_TASKS": "4x"}, "SLURM_STEP_NUM_TASKS is '4x'"),
        (STEP | {"SLURM_STEP_NODELIST": ""}, "nothing says where the first one is"),
        (OMPI | {"OMPI_COMM_WORLD_RANK": ""}, "OMPI_COMM_WORLD_RANK is ''"),
        (OMPI | {"OMPI_COMM_WORLD_LOCAL_SIZE": "1"}, "nothing says where"),
        (HYDRA | {"MPI_LOCALNRANKS": "1"}, "PMI_SIZE says that there are several"),
        ({"JAX_COORDINATOR_ADDRESS": "a:1"}, "nothing says how many processes"),
        (JAX, "JAX_PROCESS_ID is not set"),
        (JAX | {"JAX_PROCESS_ID": "0", "JAX_COORDINATOR_ADDRESS": "a"}, "no HOST:PORT"),
    ],
)
def test_what_makes_no_sense_is_an_error_with_a_way_out(environment, pattern):
    with pytest.raises(JmerError, match=pattern) as raised:
        find_launch(environment)
    assert "--alone" in str(raised.value) or "HOST:PORT" in str(raised.value)
    assert launched(alone=True, environment=environment) is None


def test_an_address_by_hand_completes_what_a_launcher_says():
    apart = OMPI | {"OMPI_COMM_WORLD_LOCAL_SIZE": "1"}
    launch = launched("node9:1234", environment=apart)
    assert (launch.index, launch.count, launch.address) == (1, 3, "node9:1234")


@pytest.mark.parametrize(
    ("nodes", "first"),
    [
        ("node001", "node001"),
        ("node001,host2", "node001"),
        ("node[001-0015],host2", "node001"),
        ("node[001,007-015]", "node001"),
        ("rack[1,3]n[04-06]-ib,login", "rack1n04-ib"),
        ("gpu[7]", "gpu7"),
        ("", None),
    ],
)
def test_the_first_node_of_a_list(nodes, first):
    assert first_node(nodes) == first
