"""edgevid: video AI that runs on the device. Importing it does no work; rooms are imported by name."""

__version__ = "0.1.0"
