"""What aligned models and the lines between them are like, beyond the loss."""
