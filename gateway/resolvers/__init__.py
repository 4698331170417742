"""Between the doors and the core: who calls, and the one place that commits."""
