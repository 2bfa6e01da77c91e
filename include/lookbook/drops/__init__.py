"""A drop's files: discover, fingerprint, read, pictures; ``sample`` generates one."""
