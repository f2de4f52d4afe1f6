"""What an agent on an EC2 instance knows of its host: who it is, and when it is about to go."""
