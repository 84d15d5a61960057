DELETE FROM reviews
