"""The trainings of a run: compiled, proven to be without leaks, trained and saved."""

import contextlib
import dataclasses
import math
import time
from collections.abc import Callable, Sequence

import jax

from jmer import trees
from jmer.runner.account import stopped
from jmer.runner.feeding import told, whole
from jmer.runner.fitting import Fitting
from jmer.runner.laid_out import Pack, Packs, finished
from jmer.runner.outcome import mean_of, test_accuracy
from jmer.runner.progress import View
from jmer.runner.session import Session
from jmer.runner.stages import COMPILES, LOOKS, SAVES, stage
from jmer.runs.events import EventLog
from jmer.runs.folder import RUN
from jmer.runs.packs import PACK, place_of
from jmer.text import counted, duration
from jmer.train import hosts
from jmer.train.canary import sing
from jmer.train.checkpoint import Checkpoints
from jmer.train.folds import Program
from jmer.train.pack import PackResult, Progress, Schedule, train_pack
from jmer.train.probe import Work, out_of_memory


def train(
    session: Session,
    packs: Packs,
    view: View,
    log: EventLog,
    stopping: Callable[[], bool],
) -> list[PackResult]:
    """The results of all packs; those that are finished are not trained again.

    Of several processes, each trains its share, and the first has them all.

    Raises: KeyboardInterrupt, with a checkpoint saved, once `stopping` says so.
    """
    results, todo = list(packs.finished), packs.todo
    if hosts.count() == 1:  # else another one may have trained them
        for result in results:
            log.write_tasks(result)
    done = sum(len(result.tasks) for result in results)
    if not todo:
        tasks = counted(done, "task")
        view.say(f"all of this run is finished ({tasks}); nothing to train")
        return results
    mine = todo[hosts.index() :: hosts.count()]
    kind = Fitting if session.experiment.optim.fits else Training
    training = kind(session, view, log, stopping)
    training.announce(done, mine)
    for pack in mine:
        results.append(training.of(pack))
        view.finished(len(pack.tasks))
    hosts.wait()
    theirs = [pack for pack in todo if pack not in mine] if hosts.is_first() else []
    return results + [finished(pack.folder) for pack in theirs]


@dataclasses.dataclass(frozen=True)
class Training:
    """How packs of a session are trained, and who is told of it."""

    session: Session
    view: View
    log: EventLog
    stopping: Callable[[], bool]

    def announce(self, done: int, todo: Sequence[Pack]) -> None:
        """What is about to be trained, after the `done` tasks there are."""
        session, view = self.session, self.view
        if not todo:
            return
        left = sum(len(pack.tasks) for pack in todo)
        plan = todo[-1].plan
        view.say(
            f"{counted(left, 'task')} to train ({counted(len(session.folds), 'fold')}, "
            f"{_seeds(session.experiment.seeds)}; {done} done) on "
            f"{session.device.device_kind}: {plan.layout} ({plan.source}), "
            f"{session.dtype_name}, {session.experiment.batches} batches"
        )
        if plan.block is not None:
            view.say(told(plan, session.work(todo[-1].tasks)))
        if plan.seconds is not None:
            expected = plan.seconds * session.experiment.epochs / hosts.count()
            view.say(
                f"expected: {duration(expected)}, {(plan.bytes or 0) / 1e6:.0f} MB "
                f"on a device"
            )
        view.begin(done + left, done, session.experiment.epochs, session.training_clips)

    def of(self, pack: Pack) -> PackResult:
        """The results of a pack; half as many tasks side by side if memory runs out."""
        try:
            return self._train(pack)
        except jax.errors.JaxRuntimeError as error:
            if not out_of_memory(error) or pack.plan.layout.chunk == 1:
                raise
        plan = pack.plan.halved()
        self.view.say(
            f"out of memory with {pack.plan.layout.chunk} tasks side by side: going "
            f"on with {plan.layout.chunk}"
        )
        return self._train(dataclasses.replace(pack, plan=plan))

    def _compiled(self, pack: Pack, work: Work) -> Program:
        program = pack.plan.program(work)
        start = time.monotonic()
        table = trees.shapes(work.table, len(program.rows(work.tasks)))
        with stage("compiling", COMPILES):
            size = program.bytes(table, work.data)
        self.view.say(
            f"compiled in {time.monotonic() - start:.1f} s: "
            f"{counted(len(work.tasks), 'task')}, "
            f"{size / 1e6:.0f} MB on a device"
        )
        return program

    def _train(self, pack: Pack) -> PackResult:
        session, view, log = self.session, self.view, self.log
        experiment, tasks = session.experiment, pack.tasks
        work = session.work(tasks)
        if pack.plan.block is None:
            work = whole(work)
        program = self._compiled(pack, work)
        before = [0]

        def watch(progress: Progress) -> None:
            record, epoch = progress.record, progress.epoch
            loss = mean_of(record.loss[record.alive])
            view.evaluated(len(tasks), epoch, epoch - before[0], loss or math.nan)
            before[0] = epoch
            log.write(
                event="evaluation",
                pack=pack.number,
                tasks=len(tasks),
                epoch=epoch,
                loss=loss,
                test_acc=test_accuracy(record, tasks, session.folds, session.clips),
                inner_uf1=mean_of(record.inner_uf1[record.alive]),
                inner_loss=mean_of(record.inner_loss[record.alive]),
                diverged=int((~record.alive).sum()),
                seconds=round(progress.seconds, 4),
            )

        schedule = Schedule(
            experiment.epochs,
            experiment.eval_every,
            experiment.engine.checkpoint_seconds,
        )
        start = session.start.of(tasks)
        with stage("looking for leaks", LOOKS):
            passed = sing(program, tasks, work.table, work.data, start)
        view.say(str(passed))
        with (
            stage("training", SAVES, patient=True, counted=True),
            contextlib.closing(Checkpoints(pack.folder)) as checkpoints,
        ):
            if checkpoints.epoch is not None:
                before[0] = checkpoints.epoch
                view.say(
                    f"resuming at epoch {checkpoints.epoch} of {experiment.epochs}"
                )
            result = train_pack(
                program,
                tasks=tasks,
                table=work.table,
                data=work.data,
                checkpoints=checkpoints,
                schedule=schedule,
                watch=watch,
                stopping=self.stopping,
                notes={
                    RUN: pack.run,
                    PACK: place_of(pack.folder),
                    "plan": pack.plan.record(),
                    "canary": passed.record(),
                    **session.held_out(tasks),
                },
                start=start,
            )
        log.write_tasks(result)
        if experiment.patience:
            view.say(_saved(result))
        return result


def _saved(result: PackResult) -> str:
    counts = stopped([result], set(result.tasks))
    return (
        f"{counts['early']} of {counted(counts['tasks'], 'task')} stopped early: "
        f"{counts['epochs_trained']:,} of {counts['epochs_in_all']:,} epochs trained"
    )


def _seeds(seeds: Sequence[int]) -> str:
    return f"seed{'s' * (len(seeds) > 1)} {' '.join(map(str, seeds))}"
