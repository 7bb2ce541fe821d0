"""Your own pipeline: tell when the light in a video changes. Run it: python examples/own_pipeline.py VIDEO"""

import sys

from edgevid.media.source import open_source
from edgevid.runtime import Pipeline


class Alarm:  # keeps state: made in the stage's thread, and anew after a crash
    def __init__(self):
        self.level = None

    def __call__(self, level):
        before, self.level = self.level, level
        return level if before is not None and abs(level - before) > 40 else None


if not sys.argv[1:]:
    sys.exit(__doc__)
with open_source(sys.argv[1]) as video, Pipeline("light") as pipeline:
    frames = pipeline.source("video", video.read(fps=5, audio=False))
    levels = pipeline.stage("brightness", lambda frame: frame.image.mean(), after=frames, capacity=2)
    alarms = pipeline.stage("alarm", make=Alarm, after=levels, executor="sync")
    lights = pipeline.output("lights", after=alarms)
    pipeline.start()
    for light in lights:  # to the end of the video; Ctrl-C drains
        print(f"{light.pts_ns / 1e9:.1f} s: brightness {light.payload:.0f}")
