"""A real RTSP server for tests: GStreamer's, run by the system's Python in a process of its own.

python3 rtsp_server.py PORT [--user NAME:PASSWORD] [--record FILE.webm]

serves rtsp://127.0.0.1:PORT/cam (H.264, a ball that moves, and AAC), /mute (pictures only), /sound (Opus)
and prints "up" once it listens. VP8 that is sent to /in is written to FILE.

Debian: apt-get install gir1.2-gst-rtsp-server-1.0 python3-gi gstreamer1.0-plugins-{base,good,bad,ugly}
gstreamer1.0-libav
"""

import argparse

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

PICTURES = (
    "videotestsrc is-live=true pattern=ball ! video/x-raw,width=320,height=240,framerate=25/1 ! "
    "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=25 ! "
    "rtph264pay name=pay0 pt=96 config-interval=1"
)
SOUND = "audiotestsrc is-live=true freq=440 ! audio/x-raw,rate=48000,channels=1 ! audioconvert ! "
AAC = SOUND + "avenc_aac ! rtpmp4gpay name=pay{} pt=97"
OPUS = SOUND + "opusenc ! rtpopuspay name=pay0 pt=97"

RECORDER = (
    "( rtpvp8depay name=depay0 ! webmmux streamable=true ! "
    "filesink sync=false async=false buffer-mode=unbuffered location={} )"
)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("port")
    parser.add_argument("--user")
    parser.add_argument("--record")
    options = parser.parse_args()
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(options.port)
    mounts = server.get_mount_points()
    for path, launch in (
        ("/cam", f"( {PICTURES} {AAC.format(1)} )"),
        ("/mute", f"( {PICTURES} )"),
        ("/sound", f"( {OPUS} )"),
    ):
        factory = GstRtspServer.RTSPMediaFactory()
        factory.set_launch(launch)
        factory.set_shared(True)
        if options.user:
            permissions = GstRtspServer.RTSPPermissions()
            permissions.add_permission_for_role("viewer", "media.factory.access", True)
            permissions.add_permission_for_role("viewer", "media.factory.construct", True)
            factory.set_permissions(permissions)
        mounts.add_factory(path, factory)
    if options.record:
        factory = GstRtspServer.RTSPMediaFactory()
        factory.set_transport_mode(GstRtspServer.RTSPTransportMode.RECORD)
        factory.set_launch(RECORDER.format(options.record))
        mounts.add_factory("/in", factory)
    if options.user:
        token = GstRtspServer.RTSPToken()
        token.set_string("media.factory.role", "viewer")
        auth = GstRtspServer.RTSPAuth()
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic(*options.user.split(":")), token)
        server.set_auth(auth)
    server.attach(None)
    print("up", flush=True)
    GLib.MainLoop().run()


main()
