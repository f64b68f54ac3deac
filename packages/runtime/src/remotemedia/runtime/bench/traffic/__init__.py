"""Traffic that proves itself: any message lost, doubled, reordered, torn or mixed up is found."""
