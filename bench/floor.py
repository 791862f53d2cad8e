"""The floor: aiohttp, as Hookgate uses it, reads the body and answers without asking anyone. `python -m bench.floor PORT`."""

import asyncio
import sys

import uvloop
from aiohttp import web


async def _serve(port: int) -> None:
    async def answer(request: web.BaseRequest) -> web.Response:
        while await request.content.readany():
            pass
        return web.Response(body=b"{}", content_type="application/json")

    loop = asyncio.get_running_loop()
    server = await loop.create_server(web.Server(answer, access_log=None), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1])))
