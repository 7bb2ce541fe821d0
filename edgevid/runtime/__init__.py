"""Level 3: stages joined by bounded channels, on one CPU budget, supervised. Imports only core.

A user's own pipeline (``examples/own_pipeline.py`` is one that runs)::

    from edgevid.runtime import Pipeline

    def brightness(frame):                       # payload in; None, one payload, or an iterator of them out
        return frame.image.mean()

    class Alarm:                                 # keeps state: made in the stage's thread, anew after a crash
        def __init__(self): self.last = 0.0
        def __call__(self, level):
            jump, self.last = abs(level - self.last), level
            return f"light changed by {jump:.0f}" if jump > 40 else None

    with open_source("door.mp4") as door, Pipeline("doorbell") as pipeline:
        frames = pipeline.source("door", door.read(fps=5, audio=False))
        levels = pipeline.stage("brightness", brightness, after=frames, policy="latest-only")
        alarms = pipeline.stage("alarm", make=Alarm, after=levels, executor="sync")
        pipeline.stage("log", print, after=alarms, workload="background")
        pipeline.run()                           # to the end of the source; Ctrl-C and SIGTERM drain
    print(pipeline.metrics().channel("brightness"))

Where to read on: ``graph.py`` (all options of a stage), ``pipeline.py`` (start, wait, cancel, drain, stop,
metrics), ``channel.py`` (policies and counts), ``budget.py`` (classes and cores); docs/RUNTIME.md.
"""

from edgevid.runtime.budget import CpuBudget, Workload
from edgevid.runtime.channel import Policy
from edgevid.runtime.errors import StageFailedError
from edgevid.runtime.graph import Node
from edgevid.runtime.message import Message
from edgevid.runtime.metrics import ChannelMetrics, PipelineMetrics, StageMetrics
from edgevid.runtime.output import Output
from edgevid.runtime.pipeline import Pipeline
from edgevid.runtime.signals import sigterm_exits

__all__ = [
    "ChannelMetrics",
    "CpuBudget",
    "Message",
    "Node",
    "Output",
    "Pipeline",
    "PipelineMetrics",
    "Policy",
    "StageFailedError",
    "StageMetrics",
    "Workload",
    "sigterm_exits",
]
