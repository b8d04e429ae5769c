"""The playground behind `genlab play`: what is asked, drawn, kept, preferred, and its page."""
