"""What users name, found: policies, learners, networks, objects of their own."""
