// SPDX-License-Identifier: LGPL-2.1-or-later

// A Java program as anybody would write it: it listens on a port, and has heard of nothing.
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.io.OutputStream;
import java.net.InetSocketAddress;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicInteger;

public class Server {
    private static final AtomicInteger count = new AtomicInteger();

    private static void answer(HttpExchange exchange) throws IOException {
        exchange.sendResponseHeaders(200, 0);
        try (OutputStream body = exchange.getResponseBody()) {
            body.write('v');
            if (exchange.getRequestURI().getPath().equals("/slow")) {
                body.flush();
                Thread.sleep(1000);
            }
            String rest = "ersion=%s\ncount=%d\nheap=%d\n".formatted(System.getProperty("java.version"),
                    count.incrementAndGet(), Runtime.getRuntime().maxMemory());
            body.write(rest.getBytes());
        } catch (InterruptedException interrupted) {
            throw new IOException(interrupted);
        }
    }

    public static void main(String[] arguments) throws IOException {
        HttpServer server = HttpServer.create(new InetSocketAddress(8080), 0);
        server.createContext("/", Server::answer);
        server.setExecutor(Executors.newFixedThreadPool(4));
        server.start();
    }
}
