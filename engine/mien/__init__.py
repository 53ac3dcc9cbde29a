"""mien: a real-time streaming avatar engine."""

__version__ = "0.1.0"
