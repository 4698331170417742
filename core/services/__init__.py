"""The guide's ten services and the steps that lead to them: one file per use case."""
