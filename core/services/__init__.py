"""The use cases of the guide, and the steps that lead to them: one verb phrase, one file."""
