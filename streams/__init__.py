"""Ebbtide's streams: how events flow from Kafka or files through the engine and out again."""
