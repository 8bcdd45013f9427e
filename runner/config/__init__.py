"""Configuration: composed by Hydra, validated by the schema. Only this package and `commands` know Hydra."""
