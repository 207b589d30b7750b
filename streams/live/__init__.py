"""The live shell: the only home of Faust and aiokafka."""
