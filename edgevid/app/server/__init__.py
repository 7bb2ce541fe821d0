"""``edgevid serve``: HTTP on this machine (reference: docs/HTTP.md).

::

    socket -> listen.Connection (time limits) -> guard (Host, Origin, token, headers) -> *_api.py (routes)
                                                                                            |
      sessions_api, videos_api -> sessions.Sessions -> session.ServedSession: a thread that watches
      chat_api -> decoder_chat (a GGUF speaks) or the answerer; pictures -> perception -> the answerer
                                                                                            |
      all blocking work runs in a bounded work.Lane; all shared state hangs on service.Service
"""
