"""What a running Ebbtide tells about itself: the only home of prometheus_client."""
