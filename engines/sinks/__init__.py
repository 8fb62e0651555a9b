"""Programs told what happens: events as CloudEvents, and the ways that they go (docs/events.md)."""
