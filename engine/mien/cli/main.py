"""The entry point of the command line. It imports the commands only when their errors are taken care of."""

from __future__ import annotations

import os
import signal
import sys

from mien.errors import MienError, PluginError
from mien.libraries import install_line, missing_library

INTERRUPTED = 128 + signal.SIGINT


def run_app() -> None:
    """Run the command: errors that a user can mend are one line on stderr, never a traceback."""
    try:
        from mien.cli.app import app

        app()
    except MienError as error:
        sys.stderr.write(f"mien: {error}\n")
        sys.exit(error.exit_code)
    except ImportError as error:
        # A stage imports what is heavy when it is opened, and that may want something of the system.
        if not (library := missing_library(error)):
            raise
        sys.stderr.write(
            f"mien: The system's {library} is missing. Install it with: {install_line(library)}\n"
        )
        sys.exit(PluginError.exit_code)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        # Whoever read our output has left; nothing more can be said.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)
