"""The study behind the choice of model: candidates, features by family, and how they are judged."""
