"""The program that makes the built-in model `mien-head`; needs the reference clips, not part of the wheel."""
