"""Performances outside a session: cut, resampled, edited, joined, and in other people's formats."""
