"""Microphones and a virtual one through PortAudio (the package sounddevice)."""
