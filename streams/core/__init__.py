"""The pure core: no IO, no clock, no environment, no Kafka, no River."""
