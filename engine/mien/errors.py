"""Every error that mien raises on purpose.

    MienError                     something a user can mend; the message names the thing and the mend
    ├── InputError                what was given cannot be used                         exit 2
    │   ├── ConfigError           a configuration key or value                          exit 2
    │   ├── MediaError            a file, clip, image or sound                          exit 2
    │   │   └── NoFaceError       no face was found where one is needed                 exit 2
    │   ├── PackageError          an avatar or performance file                         exit 2
    │   │   └── ConsentError      an avatar package without a consent record            exit 2
    │   └── AddressError          a host, port or certificate to serve on               exit 2
    ├── PluginError               a stage or service that is unknown or cannot be had   exit 2
    │   └── MissingExtraError     the plugin is known, its dependency is not installed  exit 2
    ├── DeviceError               a camera, microphone or virtual camera                exit 3
    ├── CapacityError             no room for one more session                          exit 3, HTTP 503
    └── StageError                a stage failed while running                          exit 1

A message is one or two plain sentences: what is wrong (with the file, field or value), then the mend.
"""

from __future__ import annotations


class MienError(Exception):
    """Base of all errors that mien raises on purpose.

    `exit_code` is what the command line exits with.
    """

    exit_code = 1


class InputError(MienError):
    """What was given cannot be used."""

    exit_code = 2


class ConfigError(InputError):
    """A configuration key is unknown or its value is not acceptable."""


class MediaError(InputError):
    """A file, clip, image or sound cannot be read."""


class NoFaceError(MediaError):
    """No face was found where one is needed."""


class PackageError(InputError):
    """An avatar or performance file is damaged, unsafe or of a newer version."""


class ConsentError(PackageError):
    """An avatar package carries no consent record."""


class AddressError(InputError):
    """The address to serve on cannot be used."""


class PluginError(MienError):
    """A stage or service is unknown or cannot be had."""

    exit_code = 2


class MissingExtraError(PluginError):
    """The plugin is known, but its dependency is not installed; the message holds the install line."""


class DeviceError(MienError):
    """A camera, microphone or virtual camera cannot be used."""

    exit_code = 3


class CapacityError(MienError):
    """There is no room for one more session; the message says what is full."""

    exit_code = 3


class StageError(MienError):
    """A stage failed while running; `stage` names it."""

    def __init__(self, stage: str, message: str) -> None:
        super().__init__(f"{stage}: {message}")
        self.stage = stage
