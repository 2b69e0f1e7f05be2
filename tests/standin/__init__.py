"""A stand-in accelerator: a device of torch's own spare kind over host memory, for tests."""
