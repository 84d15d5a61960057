DELETE FROM forgotten WHERE mark IN (SELECT mark FROM arriving_marks) AND since < $1
