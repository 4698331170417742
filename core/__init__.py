"""The common core: citizens, cards, codes and the ten services. Knows no GraphQL, no web framework, no channel."""
