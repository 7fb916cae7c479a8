-- A copy of the database knows no secret, and belongs to no database until someone says so.
UPDATE loyalty_engine
   SET api_key = NULL, client_id = NULL, client_secret = NULL, event_secret = NULL,
       issuer = NULL,
       manager_pin = NULL, pin_above = 0,
       database_uuid = NULL;
