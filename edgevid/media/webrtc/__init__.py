"""WebRTC in and out for browsers and other peers, through aiortc (``edgevid[webrtc]``)."""
