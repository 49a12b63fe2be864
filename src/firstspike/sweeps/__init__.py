"""Many trainings of one kind that differ in some options: what they try, who runs them, who won."""
