"""Progress of a pull on stderr: bars on a terminal, one line per file elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn

from edgevid.models.pull import PullListener


class PullProgress(PullListener):
    """A listener for ``with``: the bars are drawn inside of it."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
        self._bars = Progress(*columns, console=self._console, disable=not self._console.is_terminal)
        self._tasks: dict[str, tuple[TaskID, int]] = {}

    def __enter__(self) -> PullProgress:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def waiting(self, pid: str) -> None:
        self._console.print(
            f"waiting for another edgevid{f' (process {pid})' if pid else ''} to finish its pull"
        )

    def started(self, file: str, packs: Sequence[str], total: int) -> None:
        self._tasks[file] = self._bars.add_task(", ".join(packs), total=total), total
        if not self._console.is_terminal:
            self._console.print(
                f"downloading {file} ({total / 1e6:.1f} MB) for {', '.join(packs)}", soft_wrap=True
            )

    def progress(self, file: str, done: int) -> None:
        self._bars.update(self._tasks[file][0], completed=done)

    def finished(self, file: str) -> None:
        task, total = self._tasks[file]
        self._bars.update(task, completed=total)

    def converting(self, pack: str, name: str) -> None:
        self._console.print(f"converting {pack}: {name}")
