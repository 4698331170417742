"""Plain types that everything rests on: time, ids, callers, refusals, settings. Each file is its own face."""
