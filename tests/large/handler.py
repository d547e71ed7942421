"""An HTTP handler: it answers with a greeting of another component, and the body of the request as it comes."""

import componentize_py_async_support
import wit_world
from componentize_py_types import Ok
from wit_world import exports
from wit_world.imports import greet
from wit_world.imports.wasi_http_types import Fields, Request, Response

READ = 5000


class Handler(exports.Handler):
    async def handle(self, request: Request) -> Response:
        path = request.get_path_with_query() or ""
        done = wit_world.result_unit_wasi_http_types_error_code_future(lambda: Ok(None))[1]
        body, _ = Request.consume_body(request, done)
        writer, contents = wit_world.byte_stream()

        async def answer() -> None:
            total = 0
            with writer, body:
                await writer.write_all(greet.hello(path).encode())
                while not body.writer_dropped:
                    data = await body.read(READ)
                    total += len(data)
                    await writer.write_all(bytes(data).upper())
                await writer.write_all(b" %d %d" % (total, greet.sum(list(range(100)))))

        componentize_py_async_support.spawn(answer())
        trailers = wit_world.result_option_wasi_http_types_fields_wasi_http_types_error_code_future(lambda: Ok(None))[1]
        return Response.new(Fields.from_list([("x-by", b"python")]), contents, trailers)[0]
