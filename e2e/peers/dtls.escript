#!/usr/bin/env escript
%% A DTLS 1.2 endpoint on Erlang's ssl application:
%%
%%   server|client port=N suite=NAME [cert=FILE key=FILE] [ca=FILE] [alpn=NAME]
%%
%% as peer.h says, which also has what it prints. There are no pre-shared keys in
%% its DTLS, and no way to tell it an MTU.

main([Role | Args]) ->
    {ok, _} = application:ensure_all_started(ssl),
    Options = maps:from_list([list_to_tuple(string:split(A, "=")) || A <- Args]),
    Port = list_to_integer(maps:get("port", Options)),
    spawn_link(lines(self())),
    talk(open(Role, Port, settings(Role, Options))).

settings(Role, Options) ->
    [{protocol, dtls}, {versions, ['dtlsv1.2']}, {mode, binary}, {active, false}, {log_level, notice},
     {ciphers, [ssl:str_to_suite(maps:get("suite", Options))]}] ++
        lists:flatmap(fun(Option) -> setting(Role, Option) end, maps:to_list(Options)) ++
        [{verify, verify_none} || not maps:is_key("ca", Options)].

setting(_, {"cert", File}) -> [{certfile, File}];
setting(_, {"key", File}) -> [{keyfile, File}];
setting("client", {"ca", File}) -> [{cacertfile, File}, {verify, verify_peer}, {server_name_indication, "localhost"}];
setting("server", {"ca", File}) -> [{cacertfile, File}, {verify, verify_peer}, {fail_if_no_peer_cert, true}];
setting("client", {"alpn", Name}) -> [{alpn_advertised_protocols, [list_to_binary(Name)]}];
setting("server", {"alpn", Name}) -> [{alpn_preferred_protocols, [list_to_binary(Name)]}];
setting(_, _) -> [].

open("server", Port, Settings) ->
    {ok, Listener} = ssl:listen(Port, [{ip, {127, 0, 0, 1}} | Settings]),
    {ok, Socket} = ssl:transport_accept(Listener),
    checked(ssl:handshake(Socket, 90000));
open("client", Port, Settings) ->
    checked(ssl:connect({127, 0, 0, 1}, Port, Settings, 90000)).

checked({ok, Socket}) -> Socket;
checked(Error) -> fail(Error).

fail(Why) ->
    io:format(standard_error, "failed ~p~n", [Why]),
    halt(1).

talk(Socket) ->
    {ok, [{protocol, Version}, {selected_cipher_suite, Suite}]} =
        ssl:connection_information(Socket, [protocol, selected_cipher_suite]),
    io:format(standard_error, "established ~s ~s~n", [Version, ssl:suite_to_str(Suite)]),
    case ssl:negotiated_protocol(Socket) of
        {ok, Name} -> io:format(standard_error, "alpn ~s~n", [Name]);
        _ -> none
    end,
    ok = ssl:setopts(Socket, [{active, true}]),
    loop(Socket).

loop(Socket) ->
    receive
        {line, Line} -> ok = ssl:send(Socket, Line), loop(Socket);
        {ssl, _, Data} -> io:format("~s~n", [Data]), loop(Socket);
        eof -> halt(0);
        Other -> fail(Other)
    end.

%% lines hands over standard input, line by line.
lines(To) ->
    fun Next() ->
        case io:get_line("") of
            eof -> To ! eof;
            Line -> To ! {line, Line}, Next()
        end
    end.
