"""Label Studio as its makers publish it, in an environment of its own: its packages contradict ours."""
