"""What this plugin declares. Import-light: PortAudio is loaded when something is opened."""

from __future__ import annotations

from mien.stage import Kind, Plugin, Provides

plugin = Plugin(
    name="sounddevice",
    summary="microphones, and a virtual one for call programs (PortAudio)",
    provides=(
        Provides(
            Kind.SOURCE,
            "microphone",
            "mien_sounddevice.microphone:MicrophoneSource",
            "a microphone of this machine",
        ),
        Provides(
            Kind.OUTPUT,
            "virtualmic",
            "mien_sounddevice.virtualmic:VirtualMicrophoneOutput",
            "a microphone that Zoom, Meet and others can choose, in step with the picture",
        ),
    ),
    requires=("sounddevice",),
    install='pip install "mien[sounddevice]"',
    settings="mien_sounddevice.settings:Settings",
    devices="mien_sounddevice.doctor:devices",
)
