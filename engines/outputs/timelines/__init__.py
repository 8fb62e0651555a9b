"""Files for editors and players: highlights as clips, markers and chapters of the recording."""
