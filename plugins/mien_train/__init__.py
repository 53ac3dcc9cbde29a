"""Training the networks that mien ships: data, architecture, export. Needs torch; nothing of it runs live."""
