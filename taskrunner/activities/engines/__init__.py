"""What carries out the steps and scripts of EMR's activities: hosts, clusters, this process."""
