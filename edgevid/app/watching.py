"""Carrying out a ``WatchPlan``: sources, sessions, alarms and the screen, wired together in one process."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgevid.app.asking import Answered, Asker, answers, read_lines
from edgevid.app.cameras import Camera, WatchPlan
from edgevid.app.screen import JsonScreen, Screen, TextScreen
from edgevid.core.errors import EdgevidError
from edgevid.stream.events import Event

if TYPE_CHECKING:
    from edgevid.app.notifier import Notifier
    from edgevid.app.sheet import FrameSampler
    from edgevid.core.kv_config import KVConfig
    from edgevid.media.source import Source
    from edgevid.memory.memory import Memory
    from edgevid.stream.alerts import Alarm, Condition
    from edgevid.stream.session import StreamSession
    from edgevid.stream.several import Several

_TRACED = 200_000  # newest steps kept for --trace
SAMPLE = "sample"


@dataclass(frozen=True, slots=True)
class Request:
    """What one run is to do beside watching.

    Attributes:
        questions: answered at the end.
        start_s, end_s: part of every source to watch.
        sheet, trace: files to write at the end.
        interactive: take questions from the terminal, or from standard input, while watching.
        as_json: one JSON object per line.
    """

    questions: Sequence[str] = ()
    start_s: float = 0.0
    end_s: float | None = None
    sheet: Path | None = None
    trace: Path | None = None
    interactive: bool = False
    as_json: bool = False


@dataclass(slots=True)
class _Watch:
    """The parts of a run that hang together."""

    sessions: list[StreamSession]
    several: Several
    screen: Screen
    alarms: dict[StreamSession, list[Alarm]]
    notifier: Notifier | None
    sampler: FrameSampler
    failures: dict[StreamSession, EdgevidError] = field(default_factory=dict)

    def follow(self) -> None:
        """Show and tell what happens until every source has ended."""
        with closing(_events(self.several)) as things:
            for session, thing in things:
                if isinstance(thing, Event) and session is not None:
                    self.failures.pop(session, None)  # a camera that was off is back
                    self.screen.event(thing)
                    self._check(session, thing)
                elif isinstance(thing, Answered):
                    self.screen.answer(thing)
                else:
                    self.screen.failed(thing, session.label if session is not None else None)
                    if session is not None:
                        self.failures[session] = thing

    def _check(self, session: StreamSession, event: Event) -> None:
        for alarm in self.alarms[session]:
            alert = alarm.check(event)
            if alert is not None:
                self.screen.alert(alert)
                if self.notifier is not None:
                    self.notifier.send(alert)


def run(plan: WatchPlan, request: Request) -> int:
    """Watch everything in ``plan``; returns the exit code.

    Ctrl-C and SIGTERM end the sources, keep the rows, and go on as KeyboardInterrupt and SystemExit(143). Of
    several sources one may fail while the others go on; the code is then that of the first failure.

    Raises:
        EdgevidError: nothing can be watched, or an option of the plan cannot work.
    """
    from edgevid.memory.memory import Memory
    from edgevid.runtime import sigterm_exits

    with ExitStack() as stack:
        stack.enter_context(sigterm_exits())
        opened = [_opened(camera, alone=len(plan.cameras) == 1, stack=stack) for camera in plan.cameras]
        conditions = _conditions(plan)
        notifier = _notifier(plan, stack)
        memory = stack.enter_context(Memory(plan.save, keep=plan.keep))
        watch = _wire(plan, request, memory, opened, conditions, notifier, stack)
        try:
            duration_s = None
            for source, camera in zip(opened, plan.cameras, strict=True):
                if not isinstance(source, str):
                    watch.screen.opened(source.info, camera.name)
                    length_s = source.info.duration_s
                    duration_s = length_s if len(opened) == 1 else None
                    if length_s is not None and 0 < length_s <= request.start_s:
                        ends = f"{source.info.uri} ends at {length_s:.1f} s"
                        watch.screen.note(f"warning: {ends}, before --start {request.start_s:g}")
            with watch.screen.watching(duration_s):
                watch.follow()
        except (KeyboardInterrupt, SystemExit):
            _measured(watch, request)
            raise
        failures = list(watch.failures.values())
        if len(failures) == len(watch.sessions):
            raise failures[0]
        _finish(watch, request)
        return failures[0].exit_code if failures else 0


def _opened(camera: Camera, *, alone: bool, stack: ExitStack) -> Source | str:
    """Files, and a single live source, are opened before models load: a wrong path is told at once.

    Of several live sources each is opened by the one who watches it, and again when it is not there.
    """
    from edgevid.app.sample import sample_video
    from edgevid.media.source import open_source
    from edgevid.media.uri import is_live

    address = str(sample_video()) if camera.source == SAMPLE else camera.source
    if is_live(address):
        return stack.enter_context(open_source(address)) if alone else address
    return stack.enter_context(open_source(address, paced=camera.live))


def _conditions(plan: WatchPlan) -> list[list[Condition]]:
    """What each camera is to tell of; what cannot be told is refused before anything is made or loaded."""
    if not any(camera.notify for camera in plan.cameras):
        return [[] for _ in plan.cameras]
    from edgevid.models.store import ModelStore
    from edgevid.stream.alerts import Condition
    from edgevid.stream.answer.labels import load_vocabulary
    from edgevid.stream.channels import choose

    store = ModelStore()
    vocabulary = load_vocabulary(store)
    return [
        [
            Condition.compile(text, vocabulary=vocabulary, channels=choose(store, camera.channels)[0])
            for text in camera.notify
        ]
        for camera in plan.cameras
    ]


def _wire(
    plan: WatchPlan,
    request: Request,
    memory: Memory,
    opened: Sequence[Source | str],
    conditions: Sequence[Sequence[Condition]],
    notifier: Notifier | None,
    stack: ExitStack,
) -> _Watch:
    from edgevid.app.sheet import FrameSampler
    from edgevid.runtime import CpuBudget
    from edgevid.stream.alerts import Alarm
    from edgevid.stream.session import StreamSession
    from edgevid.stream.several import Job, Several

    budget, sampler = CpuBudget(cores=plan.threads or None), FrameSampler()
    jobs, alarms = [], {}
    for camera, source, wanted in zip(plan.cameras, opened, conditions, strict=True):
        session = StreamSession(
            plan.llm,
            mmproj=plan.mmproj,
            kv=_kv(plan, camera),
            memory=memory,
            channels=camera.channels,
            fps=camera.fps,
            budget=budget,
            label=camera.name,
            trace=_TRACED if request.trace else 0,
        )
        stack.enter_context(session)
        alarms[session] = [Alarm(condition, memory) for condition in wanted]
        options: dict[str, Any] = {"live": camera.live, "start_s": request.start_s, "end_s": request.end_s}
        options["on_frame"] = sampler if request.sheet else None
        jobs.append(Job(session, source, options, again=isinstance(source, str)))
    several, sessions = Several(jobs), list(alarms)
    screen = _screen(request, sessions, several)
    unchecked = {c.text: c.unchecked for wanted in conditions for c in wanted if c.unchecked}
    for text, place in unchecked.items():
        screen.note(f'"{text}": "{place}" is not checked, the whole picture counts')
    return _Watch(sessions, several, screen, alarms, notifier, sampler)


def _kv(plan: WatchPlan, camera: Camera) -> KVConfig | None:
    """With a session, what is sealed outlives the process; of several cameras each has a file."""
    if plan.llm is None:
        return None
    from edgevid.core.kv_config import KVConfig, RetrievalConfig

    if not plan.session or plan.save is None:
        return KVConfig(dtype=plan.kv_dtype)
    from edgevid.stream.kv_session import forget_old, kv_file

    path = kv_file(plan.save, camera.name if len(plan.cameras) > 1 else None)
    forget_old(path, plan.keep)
    return KVConfig(
        retrieval=RetrievalConfig(), dtype=plan.kv_dtype, session_file=path, ram_bytes=plan.kv_ram
    )


def _screen(request: Request, sessions: Sequence[StreamSession], several: Several) -> Screen:
    if not request.interactive:
        return JsonScreen() if request.as_json else TextScreen()
    asker = Asker(sessions, several.post)
    if not request.as_json and sys.stdin.isatty() and sys.stdout.isatty():
        from edgevid.app.live_screen import LiveScreen

        return LiveScreen(sessions, ask=asker.ask, quit=several.stop)
    read_lines(sys.stdin, partial(asker.ask, wait=True))
    return JsonScreen() if request.as_json else TextScreen()


def _notifier(plan: WatchPlan, stack: ExitStack) -> Notifier | None:
    from edgevid.app.notifier import command_notifier, webhook_notifier

    make: Callable[[str], Notifier]
    for make, target in (
        (command_notifier, plan.notify_command),
        (webhook_notifier, plan.notify_webhook),
    ):
        if target:
            notifier = make(target)
            stack.callback(notifier.close)
            return notifier
    return None


def _events(several: Several) -> Generator[tuple[StreamSession | None, Any], None, None]:
    from edgevid.stream.several import Failed

    for job, thing in several:
        yield job.session if job is not None else None, thing.error if isinstance(thing, Failed) else thing


def _finish(watch: _Watch, request: Request) -> None:
    """Questions, files and measurements, once all sources have ended."""
    from edgevid.app.sheet import write_sheet

    watched = [session for session in watch.sessions if session.watched]
    for question in request.questions:
        for answered in answers(watched, question):
            watch.screen.answer(answered)
    if request.sheet is not None:
        write_sheet(request.sheet, watch.sampler, watched[0].memory, watched[0].video_id)
        watch.screen.note(f"contact sheet: {request.sheet}")
    _measured(watch, request)


def _measured(watch: _Watch, request: Request) -> None:
    traces = [session.trace for session in watch.sessions if session.trace is not None]
    if request.trace is not None and traces:
        from edgevid.media.atomic import write_whole

        merged = traces[0].to_json()
        for trace in traces[1:]:
            merged["traceEvents"] += trace.to_json()["traceEvents"]
        write_whole(request.trace, json.dumps(merged).encode())
        watch.screen.note(f"trace: {request.trace}")
    told = {"alerts": watch.notifier.stats()} if watch.notifier is not None else {}
    for session in watch.sessions:
        if session.watched:
            watch.screen.stats({**session.stats(), **told})
