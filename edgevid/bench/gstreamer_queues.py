"""Frames through GStreamer ``queue`` elements: run by the system's Python, prints one JSON object.

Usage: gstreamer_queues.py FPS QUEUES SECONDS. It imports nothing of edgevid, which that Python does not have.
"""

from __future__ import annotations

import json
import sys
import time

import gi  # type: ignore[import-not-found]

gi.require_version("Gst", "1.0")
from gi.repository import Gst  # type: ignore[import-not-found] # noqa: E402


def main(fps: int, queues: int, seconds: float) -> None:
    """Push small buffers at ``fps`` and note how long each takes to the sink."""
    Gst.init(None)
    sink = "fakesink name=out sync=false signal-handoffs=true"
    line = " ! ".join(["appsrc name=in", *["queue"] * queues, sink])
    pipeline = Gst.parse_launch(line)
    ages: list[int] = []
    born: list[int] = []

    def arrived(sink: object, buffer: object, pad: object) -> None:
        ages.append(time.monotonic_ns() - born[len(ages)])

    pipeline.get_by_name("out").connect("handoff", arrived)
    source = pipeline.get_by_name("in")
    pipeline.set_state(Gst.State.PLAYING)
    began_s, cpu_s = time.perf_counter(), time.process_time()
    for n in range(int(fps * seconds)):
        time.sleep(max(0.0, began_s + n / fps - time.perf_counter()))
        buffer = Gst.Buffer.new_allocate(None, 16, None)
        born.append(time.monotonic_ns())
        source.emit("push-buffer", buffer)
    source.emit("end-of-stream")
    pipeline.get_bus().timed_pop_filtered(10 * Gst.SECOND, Gst.MessageType.EOS | Gst.MessageType.ERROR)
    share = (time.process_time() - cpu_s) / (time.perf_counter() - began_s)
    pipeline.set_state(Gst.State.NULL)
    version = ".".join(str(part) for part in Gst.version()[:3])
    json.dump({"cpu_share": share, "ages_ns": ages, "version": version}, sys.stdout)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
