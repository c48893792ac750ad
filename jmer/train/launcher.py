"""What a launcher has started, by the variables that it leaves to its processes.

A process believes what its own launcher says of this very launch, never what the
allocation around it could hold: of a shell or a batch script in an allocation of four
tasks, there is one.
"""

import dataclasses
import importlib.util
import re
import zlib
from collections.abc import Mapping

from jmer.errors import JmerError, quoted

PORTS = range(61440, 65536)  # the last 4096, where JAX looks too
TPU_PORT = 8482


@dataclasses.dataclass(frozen=True)
class Launch:
    """One of several processes that were started together."""

    index: int
    count: int
    host: str
    """Where the first of them is."""
    port: int
    found: str
    """Who says so, for people."""
    job: str = ""
    """The same for all of them, and for no others."""
    gpu: int | None = None
    """The one of this machine's GPUs that this process takes, where several share
    them."""

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"


def find_launch(
    environment: Mapping[str, str], *, coordinator: str | None = None
) -> Launch | None:
    """The launch that this process is a part of; None if it was started alone.

    `coordinator` (HOST:PORT) is where the first process waits, if a user says so.

    Raises: JmerError if there are several, but not which one this is, or where the
    first one waits.
    """
    coordinator = coordinator or environment.get("JAX_COORDINATOR_ADDRESS")
    for find in (_open_mpi, _hydra, _slurm, _tpu, _jax):
        launch = find(environment, coordinator)
        if launch is None:
            continue
        if (port := _number(environment.get("JAX_COORDINATOR_PORT"))) and not (
            coordinator
        ):
            launch = dataclasses.replace(launch, port=port)
        if (gpu := _number(environment.get("JAX_LOCAL_DEVICE_IDS"))) is not None:
            launch = dataclasses.replace(launch, gpu=gpu)
        return launch
    return None


def split_address(address: str) -> tuple[str, int]:
    """HOST and PORT of `HOST:PORT`; an IPv6 host stands in brackets.

    Raises: JmerError if it is none.
    """
    host, colon, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not (colon and host and port.isdigit() and 0 < int(port) < 65536):
        raise JmerError(
            f"{quoted(address)} is no HOST:PORT: give the host of the first process "
            f"and a free port of it, such as node1:12345."
        )
    return host, int(port)


def _open_mpi(environment: Mapping[str, str], address: str | None) -> Launch | None:
    """`mpirun` of Open MPI."""
    name = "OMPI_COMM_WORLD_SIZE"
    if (count := _count(environment, name)) is None:
        return None
    index = _index(environment, "OMPI_COMM_WORLD_RANK", count, name)
    job = environment.get("PMIX_NAMESPACE") or environment.get(
        "OMPI_MCA_orte_hnp_uri", ""
    )
    here = environment.get("OMPI_COMM_WORLD_LOCAL_SIZE") == str(count)
    uri = environment.get("OMPI_MCA_orte_hnp_uri", "")
    found = re.search(r"tcp://(.+?)[,:]|tcp6://\[(.+?)[,\]]", uri)
    host = "127.0.0.1" if here else found and (found[1] or found[2])
    host, port = _place(address, host, f"ompi {job}", name)
    alone = environment.get("OMPI_COMM_WORLD_LOCAL_SIZE") == "1"
    gpu = None if alone else _number(environment.get("OMPI_COMM_WORLD_LOCAL_RANK"))
    return Launch(index, count, host, port, f"Open MPI ({name}={count})", job, gpu)


def _hydra(environment: Mapping[str, str], address: str | None) -> Launch | None:
    """`mpiexec` of MPICH and Intel MPI, which also says how many are on this host."""
    name = "PMI_SIZE"
    here = environment.get("MPI_LOCALNRANKS")
    if here is None or (count := _count(environment, name)) is None:
        return None
    index = _index(environment, "PMI_RANK", count, name)
    job = environment.get("PMI_PORT", "")  # of its own on each host
    host = "127.0.0.1" if here == str(count) else None
    host, port = _place(address, host, f"pmi {job}", name)
    gpu = None if here == "1" else _number(environment.get("MPI_LOCALRANKID"))
    return Launch(index, count, host, port, f"mpiexec ({name}={count})", "", gpu)


def _slurm(environment: Mapping[str, str], address: str | None) -> Launch | None:
    """A step that `srun` has started. In a batch script, or in a shell of `salloc`,
    there is no step, or one of a single task, whatever SLURM_NTASKS says."""
    name = "SLURM_STEP_NUM_TASKS"
    if "SLURM_JOB_ID" not in environment:
        return None
    if (count := _count(environment, name)) is None:
        return None
    index = _index(environment, "SLURM_PROCID", count, name)
    step = f"{environment['SLURM_JOB_ID']}.{environment.get('SLURM_STEP_ID', '')}"
    nodes = environment.get("SLURM_STEP_NODELIST", "")
    one = environment.get("SLURM_STEP_NUM_NODES") == "1"
    host = "127.0.0.1" if one else first_node(nodes)
    host, port = _place(address, host, f"slurm {step}", name)
    # One on each node has all that the node gives it.
    alone = environment.get("SLURM_STEP_NUM_NODES") == str(count)
    gpu = None if alone else _number(environment.get("SLURM_LOCALID"))
    return Launch(index, count, host, port, f"Slurm ({name}={count})", step, gpu)


def _tpu(environment: Mapping[str, str], address: str | None) -> Launch | None:
    """The hosts of a TPU slice, and the slices of a job, where TPUs are used at all."""
    name = "TPU_PROCESS_ADDRESSES"
    if name not in environment:
        name = "TPU_WORKER_HOSTNAMES"
    hosts = [host for host in environment.get(name, "").split(",") if host]
    slices = _number(environment.get("MEGASCALE_NUM_SLICES")) or 1
    count = len(hosts) * slices
    if count <= 1 or not _uses_tpu(environment):
        return None
    worker = _index(environment, "TPU_WORKER_ID", len(hosts), name)
    index = worker
    if slices > 1:
        one = _index(environment, "MEGASCALE_SLICE_ID", slices, "MEGASCALE_NUM_SLICES")
        index += one * len(hosts)
    first = environment.get("MEGASCALE_COORDINATOR_ADDRESS") if slices > 1 else hosts[0]
    host = first.split(":")[0] if first else None
    host, _ = _place(address, host, "", "MEGASCALE_NUM_SLICES")
    port = split_address(address)[1] if address else TPU_PORT
    return Launch(index, count, host, port, f"a TPU slice ({name})")


def _jax(environment: Mapping[str, str], address: str | None) -> Launch | None:
    """What JAX and its operators on Kubernetes call it, outside any of the above."""
    given = "JAX_COORDINATOR_ADDRESS"
    if given not in environment or "SLURM_JOB_ID" in environment:
        return None
    name = "JAX_NUM_PROCESSES"
    if name not in environment:
        raise JmerError(
            f"{given} is {quoted(environment[given])}, but nothing says how many "
            f"processes there are: give --coordinator, --num-processes and "
            f"--process-id. If this process was started alone, add --alone."
        )
    if (count := _count(environment, name)) is None:
        return None
    index = _index(environment, "JAX_PROCESS_ID", count, name)
    host, port = _place(address, None, "", name)
    return Launch(index, count, host, port, f"{name}={count}")


def _uses_tpu(environment: Mapping[str, str]) -> bool:
    platforms = environment.get("JAX_PLATFORMS", "")
    wanted = not platforms or "tpu" in platforms.split(",")
    return wanted and importlib.util.find_spec("libtpu") is not None


def first_node(nodes: str) -> str | None:
    """The first name of a list as Slurm shortens it.

    >>> first_node("node1,node2"), first_node("gpu[007-9,12],login")
    ('node1', 'gpu007')
    >>> first_node("rack[1,3]n[04-6]x")
    'rack1n04x'
    """
    first = re.match(r"(?:[^,\[]|\[[^\]]*\])*", nodes)
    name = re.sub(r"\[(\w*)[^\]]*\]?", r"\1", first[0] if first else "")
    return name or None


def _count(environment: Mapping[str, str], name: str) -> int | None:
    """How many there are, if several; None without the variable.

    Raises: JmerError if it is no number.
    """
    value = environment.get(name)
    if value is None:
        return None
    count = _number(value)
    if not count:
        raise JmerError(_confused(name, value, "a whole number of processes"))
    return count if count > 1 else None


def _index(environment: Mapping[str, str], name: str, count: int, of: str) -> int:
    value = environment.get(name)
    index = _number(value)
    if index is None or index >= count:
        rule = f"a number from 0 to {count - 1}, since {of} is {environment.get(of)}"
        raise JmerError(_confused(name, value, rule))
    return index


def _confused(name: str, value: str | None, rule: str) -> str:
    shown = "is not set" if value is None else f"is {quoted(value)}"
    return (
        f"{name} {shown}, and must be {rule}. If this process was started alone (the "
        f"variables may be left over from another job), add --alone; else give "
        f"--coordinator, --num-processes and --process-id."
    )


def _place(
    address: str | None, host: str | None, job: str, name: str
) -> tuple[str, int]:
    """Where the first process waits: as said, or on `host`, at a port that all derive
    from the name of the job.

    Raises: JmerError if nobody says where.
    """
    if address:
        return split_address(address)
    if not host:
        raise JmerError(
            f"{name} says that there are several processes, but nothing says where the "
            f"first one is: give --coordinator HOST:PORT, the same to all. If this "
            f"process was started alone, add --alone."
        )
    return host, PORTS[zlib.crc32(job.encode()) % len(PORTS)]


def _number(value: str | None) -> int | None:
    return int(value) if value and re.fullmatch(r"[0-9]{1,9}", value) else None
