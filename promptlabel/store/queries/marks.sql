SELECT mark FROM forgotten WHERE forgetting = $key::UUID ORDER BY mark
