"""Basic types used everywhere: time, ids, callers, refusals, settings. Import from the modules directly."""
